/** Lists of any length, fetched page by page as they are gone through. */

/** Some items, and where the next ones begin; null at the end. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next_cursor: string | null;
}

/** Asks for a page, and for how many there are. */
export interface Paging<Item> {
  readonly ask: (cursor: string | undefined, limit: number) => Promise<Page<Item>>;
  /** How many come at a time. */
  readonly limit: number;
  /** How many there are; left out, all are gone through. */
  readonly count?: () => Promise<number>;
}

/** Items one after another: `for await (const each of pages)`; each loop begins anew. */
export class Pages<Item> implements AsyncIterable<Item> {
  readonly #paging: Paging<Item>;

  constructor(paging: Paging<Item>) {
    this.#paging = paging;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /** The same, as many at a time as come in one answer. */
  async *pages(): AsyncGenerator<Item[], void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#paging.ask(cursor, this.#paging.limit);
      yield page.items;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** The first one; undefined where there is none. */
  async first(): Promise<Item | undefined> {
    return (await this.#paging.ask(undefined, 1)).items[0];
  }

  /** How many there are. */
  async count(): Promise<number> {
    if (this.#paging.count) return this.#paging.count();
    let many = 0;
    for await (const page of this.pages()) many += page.length;
    return many;
  }
}
