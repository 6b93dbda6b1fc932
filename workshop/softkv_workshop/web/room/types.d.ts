/** Types of the room, and of what the service sends. */
declare namespace Page {
  type API = import("../../../../service/softkv_service/web/shared/api.js").API;
  /** What the service sends, by the names of its schema. */
  type Schemas = import("../../../../clients/typescript/src/generated/api.ts").components["schemas"];

  /** A row of a room. */
  type RoomRow = { id: string; key: string; value: string; by?: string; held?: boolean };
  /** A question of a room, with its answer once it is revealed. */
  type RoomQuestion = import("./live.js").Answered | { number: number; query: string; guesses: number; answer?: undefined };
  /** What a room tells, by the names of its events. */
  interface RoomEvents {
    room: Omit<Room, "rows" | "held"> & { rows: RoomRow[]; held?: RoomRow[] };
    row: RoomRow;
    removed: { id: string };
    hold: Pick<Room, "hold">;
    held: { rows: RoomRow[] };
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
    /** Whether new rows and questions wait for the presenter, who alone sees the held rows. */
    hold: boolean;
    held: RoomRow[];
    waiting: { number: number; query: string }[];
    question: RoomQuestion | null;
    listeners: number;
  }
}
