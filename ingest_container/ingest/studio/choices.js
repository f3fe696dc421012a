// What the broadcaster chooses, parsed from what was remembered, and what is asked of browser and server for it.

// By their short side, as the rungs of the ladder are called.
export const SIZES = { 1080: { width: 1920, height: 1080 }, 720: { width: 1280, height: 720 }, 480: { width: 854, height: 480 } };
export const FRAME_RATES = [15, 30, 60];
export const BITRATE = { least: 500, most: 8000 }; // kb/s: less is no picture, more does not show in a ladder of 1080p
export const SCREEN = "screen"; // in the place of a camera's id
export const NO_SOUND = "none"; // in the place of a microphone's

export const DEFAULTS = {
  picture: "", // the browser's own choice of camera
  sound: "",
  screenSound: true,
  size: 720,
  frameRate: 30,
  bitrate: 2500,
  rememberKey: false,
};

// As in bucketcast/stream/identifiers.py and stream_key.py: a key begins with the name of its stream.
const STREAM_OF_KEY = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)_./;
const LONGEST_ID = 512; // browsers' ids of devices are hashes of 64 characters

const isId = (value) => typeof value === "string" && value.length <= LONGEST_ID;

export function asBitrate(value) {
  const number = Math.round(Number(value));
  const usable = String(value).trim() !== "" && Number.isFinite(number);
  return usable ? Math.min(BITRATE.most, Math.max(BITRATE.least, number)) : DEFAULTS.bitrate;
}

// Whatever *text* holds, what comes out can be used.
export function parseChoices(text) {
  let kept = null;
  try {
    kept = JSON.parse(text);
  } catch {
    // Then nothing was kept.
  }
  const choices = { ...DEFAULTS };
  if (typeof kept !== "object" || kept === null) return choices;
  for (const name of ["picture", "sound"]) if (isId(kept[name])) choices[name] = kept[name];
  for (const name of ["screenSound", "rememberKey"]) if (typeof kept[name] === "boolean") choices[name] = kept[name];
  if (Object.hasOwn(SIZES, kept.size)) choices.size = Number(kept.size);
  if (FRAME_RATES.includes(kept.frameRate)) choices.frameRate = kept.frameRate;
  if (typeof kept.bitrate === "number") choices.bitrate = asBitrate(kept.bitrate);
  return choices;
}

// The key in a page's #key=..., so that a link can bring it without any server on the way seeing it.
export const keyOf = (fragment) => new URLSearchParams(fragment.replace(/^#/, "")).get("key");

export const streamOf = (key) => STREAM_OF_KEY.exec(key)?.[1] ?? null;

// The viewer page of the stream whose key *key* is, or null; *template* says {stream} where its name goes.
export function viewerAddress(template, key, base) {
  const stream = streamOf(key);
  if (!template || stream === null) return null;
  const text = template.replaceAll("{stream}", stream);
  if (!URL.canParse(text, base)) return null;
  const address = new URL(text, base);
  return ["http:", "https:"].includes(address.protocol) ? address.href : null;
}

// A camera is asked for what it can do nearest to the choice; turned phones turn width and height by themselves.
export function cameraConstraints({ picture, size, frameRate }) {
  const { width, height } = SIZES[size];
  return {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: frameRate, max: frameRate },
    ...(picture && { deviceId: { exact: picture } }),
  };
}

// What is heard back is muted, so nothing has to be cancelled, which costs quality.
export function microphoneConstraints({ sound }) {
  if (sound === NO_SOUND) return false;
  return { echoCancellation: false, channelCount: { ideal: 2 }, ...(sound && { deviceId: { exact: sound } }) };
}

export const screenConstraints = ({ frameRate, screenSound }) => ({
  video: { frameRate: { ideal: frameRate, max: frameRate } },
  audio: screenSound && { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
});

// How the picture that comes is sent: never larger than was chosen, and in even numbers. What is declared to the
// server is what will be sent, for the ladder is built from it.
export function sending({ size, frameRate, bitrate }, { width, height }) {
  const scale = Math.max(1, Math.min(width, height) / size);
  const even = (length) => Math.max(2, 2 * Math.floor(length / scale / 2));
  return { scale, width: even(width), height: even(height), frameRate, bitrate: bitrate * 1000 };
}

export function endpointAddress(base, { width, height, frameRate, bitrate }) {
  const address = new URL("whip", base);
  address.search = new URLSearchParams({ width, height, frame_rate: frameRate, bitrate });
  return address.href;
}
