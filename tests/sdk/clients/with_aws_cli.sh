# The AWS CLI: Converse. It has no ConverseStream, as no command of its first version has a stream.
set -euo pipefail
model=mistral.mistral-large-2402-v1:0
tools='{"tools": [{"toolSpec": {"name": "get_weather", "description": "The weather in a city",
  "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}}}]}'
any='{"tools": [{"toolSpec": {"name": "report", "description": "Report the weather",
  "inputSchema": {"json": {"type": "object", "required": ["city", "degrees", "sky"], "properties": {
    "city": {"type": "string"}, "sky": {"enum": ["clear", "cloudy"]},
    "degrees": {"type": "integer", "minimum": -90, "maximum": 60}}}}}}], "toolChoice": {"any": {}}}'

converse() {
    local question=$1
    shift
    aws bedrock-runtime converse --output json --model-id "$model" \
        --messages '[{"role": "user", "content": [{"text": "'"$question"'"}]}]' "$@"
}

text='{text: output.message.content[0].text, stop: stopReason,
    tokens: [usage.inputTokens, usage.outputTokens]}'
call='{name: output.message.content[0].toolUse.name,
    arguments: output.message.content[0].toolUse.input, stop: stopReason}'

printf '{"plain": %s, "tool": %s, "throttled": %s, "forced": {"toolChoice any": %s}}\n' \
    "$(converse "How is the weather?" --query "$text")" \
    "$(converse "How warm is it in Oslo?" --tool-config "$tools" --query "$call")" \
    "$(converse "Are you there?" --query "$text")" \
    "$(converse "What do you report by toolChoice any?" --tool-config "$any" --query "$call")"
