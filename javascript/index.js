// The same as index.cjs, for `import`.
export { Bedrock, startBedrock, withBedrock } from "./index.cjs";
