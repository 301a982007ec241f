// A globalSetup for vitest and jest: one service for all test files, which starts before the first of them.
"use strict";

const { startBedrock } = require("./index.cjs");

const ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME";

module.exports = async function setUp() {
  const service = await startBedrock({ url: process.env[ENDPOINT] });
  process.env[ENDPOINT] = service.url; // the processes of the tests inherit it
  return () => service.stop(); // for vitest; with jest the service ends with the process
};
