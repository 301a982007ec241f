module.exports = {
  globalSetup: "bedrock-invoke-api/global-setup",
  testMatch: ["**/jest.test.cjs"],
  testTimeout: 60_000,
};
