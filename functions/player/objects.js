// How the page reads the bucket's small objects: with patience, and with an answer for everything.

const ANSWER_MS = 8000; // a small file that takes longer is not coming
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 8000; // what a live viewer will sit through, and no burden on a bucket

// Jitter keeps viewers whom one fault threw out from coming back as one.
export const retryDelay = (failures) =>
  Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1), LAST_RETRY_MS) * (0.75 + Math.random() / 2);

// What *parse* makes of the object's text: "known" with it as value, "absent", or "failed" with the reason.
// What *parse* returns null for, or throws at, has failed.
export async function readObject(address, parse) {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(address, { cache: "no-cache", signal });
    if (answer.status === 404) return { kind: "absent" };
    if (!answer.ok) return { kind: "failed", reason: `HTTP ${answer.status}` };
    const value = parse(await answer.text());
    return value ? { kind: "known", value } : { kind: "failed", reason: "of a kind this page does not know" };
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { kind: "failed", reason: late ? "no answer in time" : "no connection, or not JSON" };
  }
}
