/** What scripts of the story put into the window when they are loaded. */
interface Window {
  /** What `built/editing.js` puts here when the story loads it. */
  softkvEditing?: import("./editing.js").Face;
  /** What `built/clicker.js` puts here when a lesson begins. */
  softkvLesson?: typeof import("../lesson/clicker.js").face;
  /** What `built/word.js` puts here when a reader comes to the last chapter. */
  softkvWord?: {
    mount: (
      place: HTMLElement,
      doing: HTMLElement,
      context: import("./story.js").Context,
      shared: import("./word/index.js").Shared,
    ) => Promise<import("./story.js").View>;
  };
}
