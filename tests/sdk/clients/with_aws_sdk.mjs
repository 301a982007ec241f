// The AWS SDK for JavaScript with its default handler, which speaks HTTP/2.
import { converse } from "./aws_sdk.mjs";

await converse({});
