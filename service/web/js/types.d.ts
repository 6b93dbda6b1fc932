/** Types of the scenes and of the room. */
declare namespace Page {
  /** A row of a scene or of a learner. */
  type Row = { id: string; key: string; value: string };
  type Filter = { field: string; operator: string; value: unknown };
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
  /** What a scene shows, for its story, its question and its exercises: its state, and more that each scene has of its own. */
  interface Model {
    state: State;
    result?: Result;
    answer?: any;
    [more: string]: any;
  }
  type Store = import("./state.js").Store;
  type API = import("./api.js").API;
  /** Rows and all that the service said of them, as `asking.js` puts it together. */
  type Result = any;
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
  /** What the lab told of a run. */
  type Run = {
    state: string;
    begun: any;
    body: { model: string; [more: string]: unknown };
    steps: { seconds: number; loss: number; [more: string]: number }[];
    tested?: any;
    trained?: any;
    [more: string]: unknown;
  };
  type Network = { kind: string; name: string; run?: Run };
  /** The arrays of one layer: see `views/layer/numbers.js`. */
  type Arrays = Record<ArrayName, number[][]> & { heads: number[][][]; words: string[]; mask: boolean[][] | null };
  type ArrayName = "embeddings" | "W_Q" | "W_K" | "W_V" | "W_O" | "query" | "key" | "value" | "dot" | "scaled" | "similarity"
    | "logits" | "weights" | "blended" | "concatenated" | "output" | "residual" | "normalised";

  /** A row of a room. */
  type RoomRow = { id: string; key: string; value: string };
  /** A question of a room, with its answer once it is revealed. */
  type RoomQuestion = import("./room/live.js").Answered;
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
    about?: string[];
    again?: boolean;
    pictured?: boolean;
    styles?: string;
    exported?: boolean;
    addends?: boolean;
  }
  /** What the scenes share: `main.js` makes it. */
  interface Context {
    store: import("./state.js").Store;
    api: import("./api.js").API;
    asker: import("./asking.js").Asker;
    /** The address of the service, for commands. */
    origin: string;
    /** Tell that the first answer is drawn; `rest` is what comes then. */
    answered: (rest?: () => Promise<void>) => void;
    /** What `softkv page export` wrote; null in a page of a service. */
    exported: any;
    /** Why there is no answer. */
    notice?: ReturnType<typeof import("./views/notice.js").notice>;
    /** The element of the story, which a view puts where it belongs. */
    story?: HTMLElement;
    /** Tell what the scene shows. */
    told?: (model: Model) => void;
    held?: Promise<any>;
  }
}
