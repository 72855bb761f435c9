// Borrowed items: kept while a person is at work, given back when they leave or stop.

import { leaving, post } from "./api.js";

export const MINUTES = 3; // that items are lent for; renewed long before
const BEAT = 45_000; // ms from one renewal to the next
const FIRST = 5_000; // ms to the first one: a page that was just left may give back late
const IDLE = 10 * 60_000; // ms without a key, a click or a touch, after which items go back

let released = Promise.resolve();

/** Once what was given back before is given back. */
export const settled = () => released;

export class Lease {
  /** held: the numbers of the items shown; lost: told of those that are not lent any more. */
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

  /** One at a time, so that none overtakes what is given back. */
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
