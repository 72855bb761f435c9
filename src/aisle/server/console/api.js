// The public API, relative to this page, so that it works below any prefix of a reverse proxy.

const TIMEOUT = 60_000;

/** An error response. `code` is for programs, the message for people; status 0: no response. */
export class Failure extends Error {
  constructor(status, code, message, after = 0) {
    super(message);
    Object.assign(this, { status, code, after });
  }
}

/** Send a request; body: an object sent as JSON, or a FormData. Returns the response's JSON, or null. */
export async function ask(method, path, body = undefined, { signal, key } = {}) {
  const headers = key ? { "Idempotency-Key": key } : {};
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["Content-Type"] = "application/json";
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort("late"), TIMEOUT);
  signal?.addEventListener("abort", () => ending.abort("cancelled"));
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal: ending.signal, credentials: "same-origin", cache: "no-cache",
      body: body === undefined || form ? body : JSON.stringify(body),
    });
    const text = response.status === 204 ? "" : await response.text();
    reached(true);
    if (response.ok) return text ? JSON.parse(text) : null;
    throw refused(response, text);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (signal?.aborted) throw new Failure(0, "cancelled", "cancelled");
    reached(false);
    const late = ending.signal.aborted;
    throw new Failure(0, "offline", late ? "The server takes too long to answer." : "The server cannot be reached.");
  } finally {
    clearTimeout(timer);
  }
}

export const get = (path, options) => ask("GET", path, undefined, options);
export const post = (path, body = {}, options = {}) => ask("POST", path, body, options);

/** Send a request that arrives although the page may be closed; nobody waits for the response. */
export function leaving(path, body) {
  return fetch(path, { method: "POST", keepalive: true, credentials: "same-origin",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).catch(() => {});
}

/** The URL of a stored image, relative to this page. */
export const imageUrl = (address) => address.replace(/^\//, "");

/** `name=value&…`, without what is null or empty. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

function refused(response, text) {
  let fault = {};
  try {
    fault = JSON.parse(text).error ?? {};
  } catch { /* not JSON: a proxy's page, perhaps */ }
  const after = Number(response.headers.get("Retry-After")) || 0;
  const message = fault.message ?? `The server answered ${response.status}.`;
  if (response.status === 401) window.dispatchEvent(new CustomEvent("key-needed", { detail: message }));
  return new Failure(response.status, fault.code ?? "error", sentence(message), after);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");

function reached(yes) {
  window.dispatchEvent(new CustomEvent("reached", { detail: yes }));
}
