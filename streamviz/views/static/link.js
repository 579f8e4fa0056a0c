// The websocket: reconnects by itself, says in what state it is, keeps nothing back while it is down.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
const PING_EVERY_MS = 10_000;
/** Without a word for this long (the server speaks four times a second) the line is dead. */
const SILENT_AFTER_MS = 15_000;
/** The server's word that the link this page was opened by holds no longer: there is no coming back. */
const LINK_ENDED = 4403;

/** @typedef {"connecting"|"open"|"lost"} LinkState */

export class Link extends EventTarget {
  /** @param {string} url a ws: or wss: address */
  constructor(url) {
    super();
    this.url = url;
    /** @type {LinkState} */
    this.state = "connecting";
    /** When the line went down, by `performance.now()`. */
    this.lostAt = 0;
    /** Server's clock less ours, seconds. */
    this.skew = 0;
    this.attempts = 0;
    /** Why the server does not take this page, if it says so. */
    this.refusal = "";
    this.ended = false;
    this.heard = performance.now();
    /** @type {WebSocket|null} */
    this.socket = null;
    this.retry = 0;
    setInterval(() => this.#watch(), PING_EVERY_MS / 2);
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#now();
    });
    this.#connect();
  }

  /**
   * Send a message, if there is a line; what matters is sent again after a reconnect by its owner.
   * @param {object} message
   */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #connect() {
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.heard = performance.now();
    };
    socket.onmessage = (event) => {
      this.heard = performance.now();
      if (typeof event.data !== "string") {
        this.dispatchEvent(new CustomEvent("frame", { detail: event.data }));
        return;
      }
      const message = JSON.parse(event.data);
      if (typeof message.now === "number") this.skew = message.now - Date.now() / 1000;
      // The line counts as open when the server has said hello: a proxy may accept and then refuse.
      if (message.op === "hello") {
        this.attempts = 0;
        this.refusal = "";
        this.#become("open");
      } else if (this.state !== "open" && message.op === "refused") {
        this.refusal = String(message.reason);
      }
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (this.state !== "lost") this.lostAt = performance.now();
      if (event.code === LINK_ENDED) {
        this.ended = true;
        this.refusal = "this link has ended, ask for another";
      }
      this.#become("lost");
      if (this.ended) return;
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.attempts);
      this.attempts += 1;
      if (this.attempts > 1) this.#ask();
      // Spread, so that fifty viewers do not come back in the same millisecond.
      this.retry = setTimeout(() => this.#connect(), wait * (0.75 + Math.random() / 2));
    };
  }

  /** @param {LinkState} state */
  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  /** A browser is not told why a connection was refused: ask where it is told. */
  async #ask() {
    const asked = new URL("api/v1/status", this.url);
    asked.protocol = asked.protocol === "wss:" ? "https:" : "http:";
    try {
      const answer = await fetch(asked, { credentials: "same-origin" });
      if (this.state === "open") return;
      if ([401, 403].includes(answer.status)) this.refusal = "the server was started again and wants its new token: open the address that it printed";
    } catch {
      // It is away, as was thought.
      this.refusal = "";
    }
    this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }

  /** Do not sit out a long wait when the person or the network has just come back. */
  #now() {
    if (!this.socket && !this.ended) this.#connect();
  }

  #watch() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (!document.hidden && performance.now() - this.heard > SILENT_AFTER_MS) {
      this.socket.close();
      // A dead network answers no close either: do not wait for it.
      this.socket.onclose?.(new CloseEvent("close"));
      return;
    }
    this.send({ op: "ping", t: Math.round(performance.now()) });
  }
}
