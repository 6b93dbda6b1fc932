/** Lists of any length, fetched page by page during iteration. */

/** A page of items, warnings about the filter, and the position of the next page; null at the end. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next_cursor: string | null;
  readonly warnings?: string[];
}

/** The functions that fetch a page and count the items. */
export interface Paging<Item> {
  readonly ask: (cursor: string | undefined, limit: number) => Promise<Page<Item>>;
  /** The number of items per page. */
  readonly limit: number;
  /** Returns the number of items; left out, all pages are fetched to count them. */
  readonly count?: () => Promise<number>;
}

/** An async iterable of items: `for await (const item of pages)`. Each loop begins again. */
export class Pages<Item> implements AsyncIterable<Item> {
  readonly #paging: Paging<Item>;

  constructor(paging: Paging<Item>) {
    this.#paging = paging;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /** Yield the items page by page. */
  async *pages(): AsyncGenerator<Item[], void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#paging.ask(cursor, this.#paging.limit);
      yield page.items;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** Return the first item, or undefined if the list is empty. */
  async first(): Promise<Item | undefined> {
    return (await this.#paging.ask(undefined, 1)).items[0];
  }

  /** Return a sentence for each comparison of the filter that passes over texts or numbers, or that none can pass. */
  async warnings(): Promise<string[]> {
    return (await this.#paging.ask(undefined, 1)).warnings ?? [];
  }

  /** Return the number of items. */
  async count(): Promise<number> {
    if (this.#paging.count) return this.#paging.count();
    let total = 0;
    for await (const page of this.pages()) total += page.length;
    return total;
  }
}
