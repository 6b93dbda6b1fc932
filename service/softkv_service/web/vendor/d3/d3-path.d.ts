export * from "d3-path";
