/** What the page uses of hyparquet, hyparquet-compressors and fzstd. */
type AsyncBuffer = { byteLength: number; slice(start: number, end?: number): Promise<ArrayBuffer> | ArrayBuffer };
type Metadata = { num_rows: bigint; row_groups: { num_rows: bigint }[]; key_value_metadata?: { key: string; value?: string }[] };
type Parsers = {
  timestampFromNanoseconds(count: bigint): unknown;
  jsonFromBytes(bytes: Uint8Array | undefined): unknown;
};
type Decompressor = (input: Uint8Array, outputLength: number) => Uint8Array;

/** A column or a group of columns, with its types. */
export type Element = {
  name: string;
  repetition_type?: "REQUIRED" | "OPTIONAL" | "REPEATED";
  converted_type?: string;
  logical_type?: { type: string; unit?: string; isAdjustedToUTC?: boolean };
  scale?: number;
};
export type Node = { element: Element; children: Node[] };
export const DEFAULT_PARSERS: Parsers;
/** Read the footer of a file. */
export function parquetMetadataAsync(file: AsyncBuffer): Promise<Metadata>;
/** The columns of a file, as the children of its root. */
export function parquetSchema(metadata: Metadata): { children: Node[] };
/** Read rows from `rowStart` up to, but not including, `rowEnd`. */
export function parquetReadObjects(options: {
  file: AsyncBuffer;
  metadata: Metadata;
  parsers: Parsers;
  compressors: Record<string, Decompressor>;
  /** Whether bytes without a type are texts. */
  utf8: boolean;
  rowStart: number;
  rowEnd: number;
}): Promise<Record<string, unknown>[]>;
export function decompressZstd(input: Uint8Array): Uint8Array;
export function gunzip(input: Uint8Array, output: Uint8Array): Uint8Array;
export function decompressLz4(input: Uint8Array, outputLength: number): Uint8Array;
export function decompressLz4Raw(input: Uint8Array, outputLength: number): Uint8Array;
