{{/* The labels of one part, which its Service, budget and policies select by. Call with (dict "root" . "part" "frontend"). */}}
{{- define "invoke-api.selector" -}}
app.kubernetes.io/name: invoke-api
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "invoke-api.labels" -}}
{{ include "invoke-api.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The beginning of all names. No Service is called "invoke-api": Kubernetes would set INVOKE_API_PORT to its URL. */}}
{{- define "invoke-api.name" -}}
{{ .Release.Name | trunc 30 | trimSuffix "-" }}
{{- end }}

{{- define "invoke-api.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The balancer's port of a model, by its place in the list. */}}
{{- define "invoke-api.balancerPort" -}}
{{ add 8001 . }}
{{- end }}
