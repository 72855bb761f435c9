// Leases of review items: renewed while a person works, released when they leave or stop.

import { leaving, post } from "./api.js";

export const MINUTES = 3; // of a lease; renewed long before
const BEAT = 45_000; // ms from one renewal to the next
const FIRST = 5_000; // ms to the first one: the release of a page that was just left may come late
const IDLE = 10 * 60_000; // ms without a key, a click or a touch, after which items are released

let released = Promise.resolve();

/** Resolves once earlier releases are done. */
export const settled = () => released;

export class Lease {
  /** held: gives the ids of the items shown; lost: called with those that are not leased any more. */
  constructor(held, lost) {
    Object.assign(this, { held, lost, seen: Date.now(), idle: false, ending: new AbortController() });
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal, passive: true });
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel", "focus"]) on(window, name, () => this.active());
    on(window, "server-back", () => { if (!this.idle) this.renew(); });
    on(window, "pagehide", () => this.release());
    on(window, "pageshow", (event) => { if (event.persisted) this.renew(); });
    this.first = setTimeout(() => this.beat(), FIRST);
    this.timer = setInterval(() => this.beat(), BEAT);
  }

  end() {
    this.ending.abort();
    clearTimeout(this.first);
    clearInterval(this.timer);
    this.release();
  }

  active() {
    this.seen = Date.now();
    if (!this.idle) return;
    this.idle = false;
    this.renew();
  }

  beat() {
    if (this.idle) return;
    this.idle = Date.now() - this.seen > IDLE;
    if (!this.idle) this.renew();
    else Promise.resolve(this.renewing).then(() => { if (this.idle) this.release(); });
  }

  /** One at a time, so that none overtakes a release. */
  renew() {
    this.renewing ??= this.ask().finally(() => { this.renewing = null; });
    return this.renewing;
  }

  async ask() {
    const ids = this.held();
    if (!ids.length) return;
    try {
      const found = await post("v1/review/renew", { ids, minutes: MINUTES });
      const gone = ids.filter((id) => !found.ids.includes(id) && this.held().includes(id));
      if (gone.length && !this.ending.signal.aborted) this.lost(gone);
    } catch (error) {
      if (!error.code) throw error; // not reached: the next beat asks again
    }
  }

  release() {
    const ids = this.held();
    if (ids.length) released = leaving("v1/review/release", { ids });
  }
}
