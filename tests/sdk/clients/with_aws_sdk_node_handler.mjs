// The AWS SDK for JavaScript with NodeHttpHandler, which speaks HTTP/1.1.
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { converse } from "./aws_sdk.mjs";

await converse({ requestHandler: new NodeHttpHandler() });
