// Going live and staying so, as values: `advance(state, event)` gives the next state and what is to be done.
// Pure: the time and a random number from 0 to 1 come with each event, and attempts to connect are numbered, so
// that what is heard of an earlier one changes nothing.

// The default of a stream: after it, viewers are told that the broadcast has ended.
export const RECONNECT_WINDOW_MS = 60_000;
// The longest reconnect window there is. Whoever is away for longer has to press the button again: a camera does
// not go on air an hour later because a network came back.
export const PATIENCE_MS = 1_800_000;
// A tab that was closed without a word holds the stream until the server misses its media (5 s) and its lease is
// over (3 s), and then some: beyond this, somebody else is on air.
export const HOLDER_MS = 12_000;
// A connection that held for this long was a good one: what fails next is a new fault.
export const STEADY_MS = 10_000;
export const FIRST_RETRY_MS = 1000;
export const LAST_RETRY_MS = 8000; // what somebody in front of a camera will sit through
export const LONGEST_RETRY_AFTER_MS = 60_000; // whatever a server asks for

const OFF = {
  phase: "off", // off, capturing, connecting, live, waiting
  accepted: false, // while connecting: the server has answered the offer
  connectedAt: null,
  liveSince: null, // of the first connection since the button was pressed
  troubleSince: null,
  heldSince: null, // somebody else, or our own past, is on air
  failures: 0,
  retryAt: null,
  problem: null, // { kind, detail }
  ended: false, // by the button, after it was live
};

export const INITIAL = { ...OFF, attempt: 0, source: "none", askedAt: null, sourceProblem: null };

export const isOff = ({ phase }) => phase === "off";
const hasAttempt = ({ phase }) => phase === "connecting" || phase === "live";

// Whether viewers have been told that the broadcast is over while we were trying to get back.
export const isWindowOver = ({ liveSince, troubleSince }, now) =>
  liveSince !== null && troubleSince !== null && now - troubleSince > RECONNECT_WINDOW_MS;

// Jitter keeps those whom one fault threw out from coming back as one.
export const retryDelay = (failures, random) =>
  Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1), LAST_RETRY_MS) * (0.75 + random / 2);

export function problemOf(status) {
  if (status === 401 || status === 403) return "key-wrong";
  if (status === 409) return "on-air-elsewhere";
  if (status === 429) return "too-many";
  if (status >= 500 && status !== 501) return "server-error";
  return status === 404 || status === 405 || status === 501 ? "no-endpoint" : "refused";
}

// Of these, trying again later may be the cure; of the others, it is not.
const PASSING = ["on-air-elsewhere", "too-many", "server-error"];
// What a network that comes back mends at once.
const OF_THE_NETWORK = ["lost", "unreachable", "offline", "udp-blocked"];

// Why the server ends a session for good.
const OVER = { ended: "ended-by-owner", replaced: "taken-over", refused: "refused" };

const stay = (state) => [state, []];

// A picture that is being chosen is waited for; without one there is nothing to connect.
function connect(state) {
  if (state.source === "asking") return stay({ ...state, phase: "capturing", accepted: false, retryAt: null });
  if (state.source !== "ready") return turnOff(state, { problem: state.sourceProblem });
  const attempt = state.attempt + 1;
  const next = { ...state, attempt, phase: "connecting", accepted: false, connectedAt: null, retryAt: null };
  return [next, [{ type: "connect", attempt }]];
}

// What is under way is let go, whichever phase it is in.
function letGo({ phase, attempt }) {
  if (phase === "waiting") return [{ type: "stop-waiting" }];
  return hasAttempt({ phase }) ? [{ type: "disconnect", attempt }] : [];
}

const turnOff = (state, change) => [{ ...state, ...OFF, ...change }, letGo(state)];

function tryAgain(state, event, problem, least = 0) {
  const troubleSince = state.troubleSince ?? event.now;
  const patience = state.liveSince === null ? RECONNECT_WINDOW_MS : PATIENCE_MS;
  if (event.now - troubleSince >= patience) return turnOff(state, { problem });
  const failures = state.failures + 1;
  const delay = Math.max(retryDelay(failures, event.random), least);
  const next = {
    ...state, phase: "waiting", problem, failures, troubleSince, retryAt: event.now + delay, connectedAt: null,
  };
  return [next, [...letGo(state), { type: "wait", delay }]];
}

function refused(state, event) {
  const kind = problemOf(event.status);
  const problem = { kind, detail: event.detail };
  if (!PASSING.includes(kind)) return turnOff(state, { problem });
  if (kind !== "on-air-elsewhere") {
    const least = Math.min(event.retryAfter ?? 0, LONGEST_RETRY_AFTER_MS);
    return tryAgain({ ...state, heldSince: null }, event, problem, least);
  }
  const heldSince = state.heldSince ?? event.now;
  if (event.now - heldSince >= HOLDER_MS) return turnOff(state, { problem });
  // It is a matter of seconds, so the steps do not grow.
  return tryAgain({ ...state, heldSince, failures: 0 }, event, problem);
}

function lost(state, event) {
  if (state.phase === "connecting") return tryAgain(state, event, { kind: "udp-blocked" });
  const held = event.now - state.connectedAt >= STEADY_MS;
  return tryAgain({ ...state, failures: held ? 0 : state.failures }, event, { kind: "lost" });
}

function connected(state, { now }) {
  const next = { ...state, phase: "live", connectedAt: now, liveSince: state.liveSince ?? now };
  return stay({ ...next, problem: null, troubleSince: null, heldSince: null });
}

// What is heard of the attempt that is under way.
const OF_AN_ATTEMPT = {
  accepted: (state) => stay({ ...state, accepted: true }),
  refused,
  unreachable: (state, event) =>
    tryAgain({ ...state, heldSince: null }, event, { kind: event.online ? "unreachable" : "offline" }),
  connected: (state, event) => (state.phase === "live" ? stay(state) : connected(state, event)),
  lost,
  over: (state, { reason, detail }) =>
    turnOff(state, { problem: { kind: OVER[reason], detail: reason === "refused" ? detail : undefined } }),
  unsupported: (state) => turnOff(state, { problem: { kind: "unsupported" } }),
};

function go(state, { obstacle }) {
  if (!isOff(state)) return stay(state);
  const fresh = { ...state, ...OFF };
  if (obstacle) return stay({ ...fresh, problem: { kind: obstacle } });
  if (state.source === "ready") return connect(fresh);
  const effects = state.source === "asking" ? [] : [{ type: "capture" }];
  return [{ ...fresh, phase: "capturing" }, effects];
}

function captured(state) {
  const next = { ...state, source: "ready", sourceProblem: null };
  return next.phase === "capturing" ? connect(next) : stay(next);
}

function captureFailed(state, { kind }) {
  const next = { ...state, source: "none", sourceProblem: { kind } };
  return stay(next.phase === "capturing" ? { ...next, ...OFF } : next);
}

const ANYTIME = {
  go,
  end: (state) => (isOff(state) ? stay(state) : turnOff(state, { ended: state.liveSince !== null })),
  asking: (state, { now }) => stay({ ...state, source: "asking", askedAt: now, sourceProblem: null }),
  captured,
  "capture-failed": captureFailed,
  // Turned off by hand: before it can be sent, it is asked for again.
  released: (state) => stay({ ...state, source: "none", sourceProblem: null }),
  "source-ended": (state) => stay({ ...state, source: "none", sourceProblem: { kind: "source-ended" } }),
  retry: (state) => (state.phase === "waiting" ? connect(state) : stay(state)),
  online: (state) => {
    if (state.phase !== "waiting" || !OF_THE_NETWORK.includes(state.problem.kind)) return stay(state);
    const [next, effects] = connect(state);
    return [next, [{ type: "stop-waiting" }, ...effects]];
  },
};

export function advance(state, event) {
  const ofAnAttempt = OF_AN_ATTEMPT[event.type];
  if (!ofAnAttempt) return ANYTIME[event.type](state, event);
  const isCurrent = hasAttempt(state) && event.attempt === state.attempt;
  return isCurrent ? ofAnAttempt(state, event) : stay(state);
}
