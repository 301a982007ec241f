# The AWS CLI: Converse. It has no ConverseStream, as no command of its first version has a stream.
set -euo pipefail
model=mistral.mistral-large-2402-v1:0
tools='{"tools": [{"toolSpec": {"name": "get_weather", "description": "The weather in a city",
  "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}}}]}'

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

printf '{"plain": %s, "tool": %s, "throttled": %s}\n' \
    "$(converse "How is the weather?" --query "$text")" \
    "$(converse "How warm is it in Oslo?" --tool-config "$tools" --query "$call")" \
    "$(converse "Are you there?" --query "$text")"
