// Ask Mistral 7B about the weather.
const { BedrockRuntimeClient, InvokeModelCommand } = require("@aws-sdk/client-bedrock-runtime");

exports.ask = async function ask(bedrock, question) {
  const client = new BedrockRuntimeClient(bedrock.clientOptions);
  try {
    const body = JSON.stringify({ prompt: question });
    const answer = await client.send(new InvokeModelCommand({ modelId: bedrock.model, body }));
    return JSON.parse(answer.body.transformToString()).outputs[0].text;
  } finally {
    client.destroy();
  }
};
