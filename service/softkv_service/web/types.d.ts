/** Types that several scripts of the page use. */
declare namespace Page {
  type API = import("./shared/api.js").API;
  /** What the service sends, by the names of its schema. */
  type Schemas = import("../../../clients/typescript/src/generated/api.ts").components["schemas"];
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

  /** What answers in an exported page, in the place of a service. Its encoder is loaded when the reader agrees. */
  interface ExportedPage {
    fetch: Fetcher;
    loadEncoder: (report: (share: number) => void) => Promise<void>;
  }
  /** What answers the explorer there: the page, and collections of the reader. */
  interface ExportedShelf {
    page: ExportedPage;
    /** The most rows of a collection. */
    mostRows: number;
    /** The collections that this browser keeps. */
    kept: () => Promise<{ isLasting: boolean; names: string[] }>;
    /** The rows of a collection that the reader made. */
    rows: (name: string) => Promise<any[]>;
    /** The contents of a notice, which offers to load the encoder. */
    offer: (language: Language, load: ExportedPage["loadEncoder"], loaded: () => void) => Child[];
  }
}

interface Window {
  /** Data of `recorded/NAME.js`, by their names. */
  softkvRecorded?: Record<string, unknown>;
  /** What `built/exported.js` puts here in an exported page. */
  softkvExported?: { page: () => Page.ExportedPage; shelf: () => Page.ExportedShelf };
  /** What `built/images.js` puts here when a picture or a film is saved. */
  softkvImages?: Pick<typeof import("./shared/images.js"), "saveGif" | "savePng">;
  SwaggerUIBundle: (options: object) => void;
}
