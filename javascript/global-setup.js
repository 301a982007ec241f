// The same as global-setup.cjs, for `import`.
export { default } from "./global-setup.cjs";
