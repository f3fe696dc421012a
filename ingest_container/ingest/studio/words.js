// Every sentence that the page says about what happens. Pure: values in, words out.

import { isWindowOver } from "./lifecycle.js";

const NOTHING_TO_DO = "There is nothing for you to do: this page goes on trying.";

// Of each problem what has happened, and what helps.
const PROBLEMS = {
  "key-missing": ["The stream key is missing", "Enter the key that you were given for your stream."],
  insecure: ["This address cannot use cameras", "Browsers give cameras and microphones to secure pages only. Open this page with https:// in its address."],
  unsupported: ["This browser cannot broadcast", "It lacks WebRTC with H.264 or VP8, or WebRTC is turned off. Use a current Chrome, Edge, Firefox or Safari."],
  "permission-denied": ["Camera or microphone not allowed", "Click the icon at the left of the browser's address bar, allow camera and microphone, then try again."],
  "permission-denied-by-system": ["The system does not let the browser use it", "Allow your browser the camera, the microphone or screen recording in the system's privacy settings, then try again."],
  "screen-refused": ["No screen was shared", "Press “Share a screen” and choose a screen, a window or a tab."],
  "no-camera": ["No camera found", "Connect a camera, or choose to share a screen."],
  "no-microphone": ["No microphone found", "Connect a microphone, or choose “No sound”."],
  "device-busy": ["Camera or microphone is in use", "Close the other program or tab that uses it, then try again."],
  "source-failed": ["The camera did not start", "Unplug it and plug it in again, or choose another one."],
  "source-ended": ["The picture has stopped", "The camera was unplugged or the sharing was stopped. Choose a picture again, or press End."],
  "key-wrong": ["The stream key is wrong", "The server knows no stream with this key. Copy it again, whole, from where you got it."],
  "on-air-elsewhere": ["The stream is on air from elsewhere", "Somebody publishes with this key already: another tab, another computer or OBS. End it there, then go live here."],
  "ended-by-owner": ["The broadcast was ended", "Whoever runs the stream has ended it. Going live again begins a new one."],
  "taken-over": ["Somebody else has taken over", "Another computer or program went on air with this key after this page was silent for some seconds."],
  refused: ["The server refused the broadcast", "Change what it names, then go live again."],
  "no-endpoint": ["There is no WHIP server here", "The server answered, but takes no broadcasts at this address. Tell whoever runs it."],
  "too-many": ["The server asks to wait", "There were too many attempts from this network."],
  "server-error": ["The server has a fault", "This is not your camera's or your network's doing."],
  unreachable: ["The server cannot be reached", "No answer came. Check your network; if other pages load, tell whoever runs the server."],
  offline: ["You are offline", "This device has no network. The page goes on by itself as soon as there is one."],
  "udp-blocked": ["UDP seems to be blocked", "The server answered, but no media reach it. A firewall or VPN often is the reason: turn the VPN off, use another network such as a phone's, or have UDP allowed."],
  lost: ["The connection was lost", "The network changed or failed, or the server went away."],
};

// As bucketcast/stream/encoder_report.py names them, in the words of somebody with a browser.
const FAULTS = {
  "no-audio": "No sound arrives. Viewers hear silence: choose a microphone, or turn it on.",
  "no-video": "No picture arrives. Choose a camera or a screen.",
  "long-keyframe-interval": "Full pictures come too rarely, so viewers start late. Close other programs, or go live again.",
  "variable-frame-rate": "The picture does not come evenly. More light, a lower frame rate or fewer other programs help.",
  "timestamp-jump": "The clock of the picture has jumped. If it goes on, go live again.",
  "codec-change": "The picture's shape or codec has changed. If viewers see it wrongly, end and go live again.",
  "slower-than-real-time": "Media arrive too slowly. Choose a lower bitrate.",
  "encoder-overloaded": "The server is short of power: viewers may miss the largest size for a while.",
  "not-passed-through": "The server encodes the largest size anew. Viewers see no fault.",
  "packet-loss": "Parts of the picture are lost on the way. Choose a lower bitrate, move closer to the Wi-Fi, or use a cable.",
  "source-not-recorded": "The recording is made of what viewers see, not of what you send. Viewers see no fault.",
  "b-frames": "The pictures come out of order, so viewers see them stutter. Use another browser; in other programs, turn B-frames off.",
};
const LONGEST_ADVICE = 300;

const WEAKNESSES = {
  network: "Your network is too weak for this bitrate: the picture is sent with less detail. Choose a lower bitrate, or move closer to the Wi-Fi.",
  cpu: "This computer is too busy: the picture is made smaller. Close other programs, or choose a smaller size or frame rate.",
};

export const TURNED = "The picture's shape has changed. Viewers get the new one by themselves; there is nothing to do.";

const say = (tone, name, title, text = "") => ({ tone, name, title, text });

// Of these, the server alone knows more; of the others, it speaks to whoever has OBS before them.
const TOLD_BY_SERVER = ["refused", "server-error"];

function problemWords({ kind, detail }) {
  const [title, text] = PROBLEMS[kind] ?? PROBLEMS["source-failed"];
  return { title, text: detail && TOLD_BY_SERVER.includes(kind) ? `The server says: “${detail}” ${text}` : text };
}

// A camera that is allowed already starts sooner than this, and nobody has to hear that somebody was asked.
const ASKING_MS = 400;

const isAsking = ({ source, askedAt }, now) => source === "asking" && now - askedAt >= ASKING_MS;

const asking = () =>
  say("busy", "asking for permission", "Waiting for your permission", "Your browser asks whether this page may use what you have chosen: allow it.");

function whileOff(state, now) {
  const { problem, sourceProblem, source, ended } = state;
  const fault = problem ?? sourceProblem;
  if (fault) {
    const { title, text } = problemWords(fault);
    return say("error", "not connected", title, text);
  }
  if (ended) return say("idle", "ended", "You have ended the broadcast", "Viewers see the rest of it within seconds.");
  if (isAsking(state, now)) return asking();
  const next = source === "ready" ? "Press “Go live” when you are ready." : "Enter your stream key and press “Go live”.";
  return say("idle", "not connected", "Not connected", next);
}

function whileCapturing(state, now) {
  return isAsking(state, now) ? asking() : say("busy", "connecting", "Connecting", "Starting what you have chosen.");
}

function whileWaiting(state, now) {
  const { title, text } = problemWords(state.problem);
  if (state.problem.kind === "on-air-elsewhere") {
    const hold = "It may be your own last connection, which the server lets go within seconds. Trying again.";
    return say("busy", "connecting", "Waiting for the stream to be free", hold);
  }
  if (state.liveSince === null) return say("warn", "trying again", title, `${text} Trying again.`);
  const promise = isWindowOver(state, now)
    ? "Viewers have been told by now that the broadcast has ended. When the connection is back, a new one begins at the same address."
    : "If it comes back within a minute, viewers stay and see the rest.";
  return say("warn", "reconnecting", `${title}: reconnecting`, `${text} ${promise} ${NOTHING_TO_DO}`);
}

// What is known of an attempt that is tried again holds until the server has answered: it is not read out anew
// with each one.
function whileConnecting(state, now) {
  const { liveSince, accepted, problem } = state;
  if (problem && !accepted) return whileWaiting(state, now);
  const text = accepted ? "The server has answered. Opening the way for media." : "Asking the server.";
  return liveSince === null
    ? say("busy", "connecting", "Connecting", text)
    : say("warn", "reconnecting", "Reconnecting", `${text} ${NOTHING_TO_DO}`);
}

function whileLive(state, now) {
  const { sourceProblem } = state;
  if (isAsking(state, now)) return asking();
  if (sourceProblem) {
    const { title, text } = problemWords(sourceProblem);
    return say("warn", "live", `You are live, but: ${title.toLowerCase()}`, text);
  }
  return say("live", "live", "You are live", "Viewers see you some seconds later.");
}

// What is the case, as a *name* for the corner of the page, a *title* and a *text*; *tone* colours it.
export function situation(state, now) {
  switch (state.phase) {
    case "capturing":
      return whileCapturing(state, now);
    case "connecting":
      return whileConnecting(state, now);
    case "waiting":
      return whileWaiting(state, now);
    case "live":
      return whileLive(state, now);
    default:
      return whileOff(state, now);
  }
}

// The faults of the input that the server sees: names, or names with advice, of which unknown ones are shown.
export function faultWords(faults) {
  if (!Array.isArray(faults)) return [];
  return faults.flatMap((fault) => {
    const name = String(fault?.name ?? fault).replaceAll("_", "-");
    if (Object.hasOwn(FAULTS, name)) return [FAULTS[name]];
    const advice = fault?.advice;
    return [typeof advice === "string" ? advice.slice(0, LONGEST_ADVICE) : `The server reports: ${name.slice(0, 60)}.`];
  });
}

export const weaknessWords = (names) => names.map((name) => WEAKNESSES[name]);

const two = (number) => String(number).padStart(2, "0");

export function durationWords(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? rest : `${Math.floor(seconds / 3600)}:${rest}`;
}

const UNKNOWN = "–";

// What was measured, by the ids of the page's fields.
export function figures(measured, liveFor) {
  const known = (value, words) => (value === null || value === undefined ? UNKNOWN : words(value));
  return {
    "on-air": known(liveFor, durationWords),
    "real-bitrate": known(measured?.bitrate, (bits) => `${Math.round(bits / 1000)} kb/s`),
    "real-size": known(measured?.width, (width) => `${width} × ${measured.height}`),
    "real-rate": known(measured?.frameRate, (rate) => `${Math.round(rate)} per s`),
    "round-trip": known(measured?.roundTrip, (trip) => `${Math.round(trip)} ms`),
    loss: known(measured?.loss, (loss) => `${(loss * 100).toFixed(1)} %`),
  };
}
