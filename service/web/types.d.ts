/** Types that several scripts of the page use. */
declare namespace Page {
  type API = import("./shared/api.js").API;
  /** What the service sends, by the names of its schema. */
  type Schemas = import("../../clients/typescript/src/generated/api.ts").components["schemas"];
  type Language = "en" | "zh";
  type Verdict = "one" | "several" | "none";

  /** What an element may hold; text stays text. */
  type Child = Node | string | number | null | undefined | readonly Child[];
  /** What an element is given: properties, attributes, CSSOM properties as `style`, and what to do on events. */
  type Props = { [name: string]: unknown; style?: Record<string, string> } & {
    [K in keyof HTMLElementEventMap as `on${K}`]?: ((event: HTMLElementEventMap[K]) => void) | null;
  };
  type ByTag<T extends string> = T extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[T] : HTMLElement;
  /** The element of `h("tag.class.class")`. */
  type ElementOf<W extends string> = W extends `${infer T}.${string}` ? ByTag<T> : ByTag<W>;

  /** Similarities of unrelated texts, on which a null key stands. */
  type Background = Capped & { of: string; at_least?: Capped | null; fades_from?: number | null };
  type Capped = Spread & { at_most?: Spread | null };
  type Spread = { mean: number; deviation: number };
  /** A storage that is a Map where the browser's may not be used. */
  type Kept = Pick<Storage, "getItem" | "setItem">;
  /** What stands in for `fetch`, with a path of the service. */
  type Fetcher = (path: string, options: RequestInit) => Promise<Response>;
}

interface Window {
  /** Data of `recorded/NAME.js`, by their names. */
  softkvRecorded?: Record<string, unknown>;
  /** What `built/parquet.js` puts here when the explorer loads it. */
  softkvParquet?: { open: import("./explore/upload/table.js").OpenParquet };
  /** What `built/exported.js` puts here in an exported page. */
  softkvExported?: { ExportedPage: typeof import("./exported/answers.js").ExportedPage };
  /** What `built/editing.js` puts here when the story loads it. */
  softkvEditing?: import("./story/editing.js").Face;
  /** What `built/share.js` puts here when a picture or a film is saved. */
  softkvShare?: Pick<typeof import("./story/share.js"), "saveGif" | "savePng">;
  /** What `built/clicker.js` puts here when a lesson begins. */
  softkvLesson?: typeof import("./lesson/clicker.js").face;
  /** What `built/word.js` puts here when a reader comes to the last chapter. */
  softkvWord?: {
    mount: (
      place: HTMLElement,
      doing: HTMLElement,
      context: import("./story/story.js").Context,
      shared: import("./story/word/index.js").Shared,
    ) => Promise<import("./story/story.js").View>;
  };
  SwaggerUIBundle: (options: object) => void;
}
