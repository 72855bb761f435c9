// Sends a file of products, and tells how much of it has arrived.

import { Failure, query } from "./api.js";

const TYPES = ".csv,.tsv,.txt,.xlsx,.xls,.ods,.json,.jsonl,.ndjson,.xml,.parquet,.gz,.bz2,.xz,.zst";

/** What a file chooser offers. */
export const accepted = TYPES;

/** The first file of a drop that is no image; null where there is none. */
export const tableOf = (transfer) => [...(transfer?.files ?? [])].find((file) => !file.type.startsWith("image/")) ?? null;

/** Rows copied from a spreadsheet as a file; null for other texts. */
export function pastedTable(text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const tabs = lines.filter((line) => line.includes("\t")).length;
  return lines.length > 1 && tabs > lines.length / 2 ? new File([text], "pasted.tsv", { type: "text/tab-separated-values" }) : null;
}

/** Upload a file; `arrived` is called with shares. Returns what the server read. */
export function upload(file, arrived = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much was sent
    const fail = (status, code, message) => reject(new Failure(status, code, message));
    request.upload.addEventListener("progress", ({ loaded, total }) => arrived(total ? loaded / total : 1));
    request.addEventListener("error", () => fail(0, "offline", "The file could not be sent: the connection broke, or the server refused so large a file."));
    request.addEventListener("load", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* not JSON: a proxy's page, perhaps */ }
      if (request.status === 201) return resolve(answer);
      const { code = "error", message = `The server answered ${request.status}.` } = answer.error ?? {};
      if (request.status === 401) window.dispatchEvent(new CustomEvent("key-needed", { detail: message }));
      fail(request.status, code, request.status === 413 && code === "too_large" ? tooLarge(file, message) : message);
    });
    request.open("POST", `v1/batches${query({ name: file.name || "products.csv" })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  });
}

const tooLarge = (file, message) =>
  `${file.name} has ${megabytes(file.size)}; ${message}. Split it, compress it (.gz), or ask who runs this server.`;

export const megabytes = (bytes) => (bytes < 100_000 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
