// The same package in CommonJS.
import { Bedrock, withBedrock } from "bedrock-invoke-api";
import bedrock = require("bedrock-invoke-api");

export const test = withBedrock(async (made: Bedrock) => made.reply("Hi"));
export const start: typeof bedrock.startBedrock = bedrock.startBedrock;
