const { withBedrock } = require("bedrock-invoke-api");
const { ask } = require("./ask.cjs");

test.each([" One.", " Two."])("each test has its own rules and calls:%s", (text) =>
  withBedrock(async (bedrock) => {
    await bedrock.reply(text);
    expect(await ask(bedrock, "Hi")).toBe(text);
    expect(await bedrock.requests()).toHaveLength(1);
  })(),
);

test("fails and says why", withBedrock(async (bedrock) => {
  await bedrock.reply(" It rains.", { prompt: "Weather" });
  expect(await ask(bedrock, "How is the weather?")).toBe(" It rains.");
}));
