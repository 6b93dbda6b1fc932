/** Types of the scenes and of the room. */
declare namespace Page {
  /** A row of a scene or of a learner. */
  type Row = { id: string; key: string; value: string };
  type Filter = import("./exported/database.js").Filter;
  /** The state of the scenes, as the address tells it; `state.js` says what each begins with. */
  interface State {
    scene: string;
    view: string;
    lang: Language;
    theme: "light" | "dark";
    projector: boolean;
    source: string;
    rows: Row[] | null;
    masked: string[];
    query: string;
    t: number;
    none: string | number | false;
    filter: Filter | null;
    revealed: boolean;
    guess: string | null;
    step: number;
    causal: boolean;
    heads: number;
    walked: number;
    text: string;
    layer: number;
    head: number;
    word: number;
    to: number;
    second: string;
    pair: string | null;
    similarity: string;
    spots: number[][] | null;
    at: number;
    points: number[][] | null;
    noisy: number[] | null;
    width: number;
    rank: number;
    left: number;
    noise: number;
    patch: number;
    flat: boolean;
    codes: number;
    task: string;
    model: string;
    aligned: boolean;
    seconds: number;
    steps: number;
    moment: number;
    pairs: string[][] | null;
    picture: number[][] | null;
    labels: string;
    own: string[] | null;
    lambda: number;
  }
  /** What a scene shows, for its story, its question and its exercises; its state alone while the rest is to come. */
  type Model = { state: State } | Models[keyof Models];
  /** What the views show. The scene of each view but the lookup has its name. */
  interface Models {
    lookup: Lookup;
    sure: Shows<{
      labelled: Labelled[];
      numbers: ReturnType<typeof import("./views/sure/calibration.js").calibration> | null;
      example: Swept & { match: NonNullable<Swept["match"]> };
    }>;
    steps: Shows<{ numbers: Arrays }>;
    scores: Shows<{ answers: Record<string, { weights: number[] }>; best: Record<string, string> }>;
    encoder: Shows<{ tokens: string[]; word: number; attention: number[][]; weights: number[]; layers: Map<number, number[][][]> }>;
    hopfield: Shows<{ states: number[][]; weights: number[][]; stored: number[][]; names: string[] }>;
    regression: Shows<{ points: number[][]; y: number; fitted: number[] }>;
    space: Shows<{ share: number; inside: number; near: number; far: number; nearest: string; best: string }>;
    million: Shows<{ most: number; bound: string; worst: number; method: string; keys: number }>;
    photo: Shows<{ gain: number | null; own: number; patches: number }>;
    lowrank: Shows<{ width: number; rank: number }>;
    pairs: Shows<{ lab: unknown; begun: { right: number; n: number } }>;
    learning: Shows<{ lab: unknown; networks: Network[] }>;
    vision: Shows<{ lab: unknown }>;
  }
  type Shows<More> = { state: State } & More;
  /** What a lookup shows. */
  type Lookup = { state: State; result: Result; answer: Answer };
  /** A question of the scene `sure`, and what its first match weighs. */
  type Swept = import("./views/sure/swept.js").Asked;
  type Labelled = Omit<Swept, "weight"> & { weight: number; right: boolean; own: boolean };
  type Store = import("./state.js").Store;
  type API = import("./api.js").API;
  /** What the service sends, by the names of its schema. */
  type Schemas = import("../../../clients/typescript/src/generated/api.ts").components["schemas"];
  /** A row of a result. One that is masked may not be attended to. */
  type ShownRow = Row & {
    similarity: number;
    masked: boolean;
    metadata?: Record<string, unknown>;
    part?: Schemas["MatchPart"];
    /** Whether the encoder cannot read its key. */
    unread?: boolean;
    /** What its other keys add, of a row of several. */
    crowd?: import("./tail.js").Crowd | null;
  };
  /** Rows and all that the service said of them, as `asking.js` puts it together. */
  interface Result {
    /** False where nothing was asked: without a question, or without rows. */
    asked: boolean;
    rows: ShownRow[];
    /** One a row, in the order of the rows, as in `mask`: true = may be attended to. */
    similarities: Float64Array;
    mask: boolean[];
    nullKey: import("./nullkey.js").NullKey | null;
    documents: number;
    keys: number;
    sql: Found;
    fullText: Found;
    topK: { matches: Schemas["SweptMatch"][] };
    /** Rows that the page does not hold. */
    tail: import("./tail.js").Tail | null;
    request: Call;
    /** How many rows there are, with those that a filter shuts out. */
    size: number;
    /** Tokens or letters of the question that cannot be read. */
    unread: number;
    /** What the service has answered already, and for which temperature and null key. */
    compared?: { temperature: number; none: State["none"]; attention: Attended };
    /** By a row's id: see `Asker.ranks`. */
    ranks?: Promise<Map<string, number>> | null;
    /** What words add: λ, and the ranks if λ is not 0. */
    words?: { lambda: number; ranks: Map<string, number> | null } | null;
    /** The service's verdict at one temperature. */
    told?: { temperature: number; verdict: Verdict; certain: boolean } | null;
  }
  /** The answer of attention; an exported page marks its own. */
  type Attended = Schemas["AttendAnswer"] & { exported?: boolean };
  /** What a database finds, and by which statement. */
  type Found = Pick<Schemas["SQLAnswer"], "statement" | "parameters" | "rows">;
  /** Weights of a result at a temperature, and the level of "none of these" there. */
  type Answer = import("./formula.js").Answer & { certain: boolean; level: number | null };
  /** A head of the encoder. */
  type Head = { layer: number; head: number };
  /** A token of the encoder, and whether it is of the text or of its pair. */
  type Token = { text: string; sequence: number | null };
  /** Numbers of any shape, in base64 of little-endian float32. */
  type Packed = { shape: number[]; base64: string };
  /** A call that can be repeated on the command line. */
  type Call = { method: string; path: string; body?: object };
  /** A matrix with its name, as it is drawn. */
  type Matrix = {
    name: string;
    kind?: string;
    numbers: (number | null)[][];
    rows?: string[];
    columns?: string[];
    point?: (row: number, column: number) => void;
    decimals?: number;
  };
  /** The body of a training: see `/v1/lab/train`. */
  type Training = { task: string; model?: string; pairs?: { query: string; key: string }[]; seconds: number; steps?: number };
  /** What the lab told of a network, while it is trained or recorded. */
  interface Learned {
    body: { model?: string };
    begun: { parameters: number } | null;
    steps: { step: number; seconds: number; loss: number; step_ms: number }[];
    tested: { step: number; seconds: number; accuracy: number; lengths: { length: number; accuracy: number }[] } | null;
    trained: { aligned?: number | null } | null;
  }
  /** A model that the lab has trained, with examples that it never saw: of texts or of pictures. */
  type Trained = { id: string; aligned?: number | null; examples: { source: string; picture: number[][]; target: string }[] };
  /** A training of one's own; of pairs its steps tell of the weights. */
  interface Run extends Learned {
    state: string;
    body: Training;
    begun: { parameters: number; held_out: number[] } | null;
    steps: (Learned["steps"][number] & { right: number; right_held_out: number; weights: number[][] })[];
    trained: Trained | null;
    problem: import("./api.js").SoftkvError | null;
  }
  /** What the lab keeps: see `/v1/lab`. */
  type Lab = { open: boolean; models: { id: string; task: string; model: string; accuracy: number; seconds: number }[] };
  type Network = { kind: string; name: string; run: Learned };
  /** The arrays of one layer: see `views/layer/numbers.js`. */
  type Arrays = Record<ArrayName, number[][]> & { heads: number[][][]; words: string[]; mask: boolean[][] | null };
  type ArrayName = "embeddings" | "W_Q" | "W_K" | "W_V" | "W_O" | "query" | "key" | "value" | "dot" | "scaled" | "similarity"
    | "logits" | "weights" | "blended" | "concatenated" | "output" | "residual" | "normalised";

  /** A row of a room. */
  type RoomRow = { id: string; key: string; value: string };
  /** A question of a room, with its answer once it is revealed. */
  type RoomQuestion = import("./room/live.js").Answered | { number: number; query: string; guesses: number; answer?: undefined };
  /** What a room tells, by the names of its events. */
  interface RoomEvents {
    room: Omit<Room, "rows"> & { rows: RoomRow[] };
    row: RoomRow;
    removed: { id: string };
    waiting: Pick<Room, "waiting">;
    here: Pick<Room, "listeners">;
    question: RoomQuestion;
    answer: RoomQuestion;
    temperature: { number: number; temperature: number };
    guesses: { number: number; guesses: number };
  }
  type RoomEvent = { [N in keyof RoomEvents]: { name: N; data: RoomEvents[N] } }[keyof RoomEvents];
  /** How others come in: the address, and the picture of it. */
  type Joining = { address: string; path: string; size: number };
  interface Room {
    code: string;
    rows: Map<string, RoomRow>;
    waiting: { number: number; query: string }[];
    question: RoomQuestion | null;
    listeners: number;
  }

  /** A scene: see `scenes.js`. */
  interface Scene {
    name: string;
    view: string;
    state: Partial<State>;
    about?: (keyof State)[];
    again?: boolean;
    pictured?: boolean;
    styles?: string;
    /** Whether it needs a service. */
    served?: boolean;
    addends?: boolean;
  }
  /** What is there before any scene: `main.js` makes it. */
  interface Shared {
    store: Store;
    api: API;
    asker: import("./asking.js").Asker;
    /** The address of the service, for commands. */
    origin: string;
    /** Tell that the first answer is drawn; `rest` is what comes then. */
    answered: (rest?: () => Promise<void>) => void;
    /** What `softkv page export` wrote; null in a page of a service. */
    exported: import("./exported/answers.js").ExportedPage | null;
    /** Which servers hold the keys: see `views/shards.js`. */
    held?: Promise<Schemas["ShardsAnswer"] | null>;
  }
  /** What a scene's view is given. */
  interface Context extends Shared {
    /** Why there is no answer. */
    notice: ReturnType<typeof import("./views/notice.js").notice>;
    /** The element of the story, which a view puts where it belongs. */
    story: HTMLElement;
    /** Tell what the scene shows. */
    told: (model: Model) => void;
  }
  /** A scene's view. */
  interface View {
    element: HTMLElement;
    /** Follow the state. @param changed the names of what changed in it */
    update: (state: State, changed: Set<string>) => void;
    /** Ask again what got no answer. */
    again?: () => void;
    leave?: () => void;
  }
}
