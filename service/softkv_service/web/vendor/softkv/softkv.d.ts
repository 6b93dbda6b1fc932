export * from "../../../../../clients/typescript/src/index.ts";
