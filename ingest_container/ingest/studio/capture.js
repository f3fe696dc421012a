// Cameras, microphones and screens: asked for, listed, stopped; what went wrong is given a name.

import { NO_SOUND, SCREEN, cameraConstraints, microphoneConstraints, screenConstraints } from "./choices.js";

export class CaptureFailed extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

// The names that browsers give their refusals (Media Capture and Streams, 10.2; Screen Capture, 5.2).
export function captureProblem({ name, message = "" }, { screen, missing = "no-camera" }) {
  const bySystem = /system/i.test(message);
  switch (name) {
    case "NotAllowedError":
      if (bySystem) return "permission-denied-by-system";
      return screen ? "screen-refused" : "permission-denied";
    case "InvalidStateError": // a screen is shared only by somebody who has just pressed something
      return "screen-refused";
    case "SecurityError":
      return "permission-denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return missing;
    case "NotReadableError":
    case "AbortError":
      return "device-busy";
    default:
      return "source-failed";
  }
}

export const canShareScreens = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

const ofKind = (devices, kind) => devices.filter((device) => device.kind === kind && device.deviceId !== "");

// What there is to choose from; before permission was given, browsers tell neither names nor ids.
export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return { cameras: ofKind(devices, "videoinput"), microphones: ofKind(devices, "audioinput") };
}

async function missingKind() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.some(({ kind }) => kind === "videoinput") ? "no-microphone" : "no-camera";
}

async function ask(promise, screen) {
  try {
    return await promise;
  } catch (error) {
    const missing = error.name === "NotFoundError" ? await missingKind() : "no-camera";
    throw new CaptureFailed(captureProblem(error, { screen, missing }));
  }
}

const without = (choices, device) => ({ ...choices, [device]: "" });

// A device that was chosen once may be gone; then any other will do.
async function askForDevices(choices) {
  const { mediaDevices } = navigator;
  const request = (wanted) =>
    mediaDevices.getUserMedia({ video: cameraConstraints(wanted), audio: microphoneConstraints(wanted) });
  const wished = await listDevices();
  let wanted = choices;
  const isThere = (devices, id) => id === "" || id === NO_SOUND || devices.some(({ deviceId }) => deviceId === id);
  if (!isThere(wished.cameras, choices.picture)) wanted = without(wanted, "picture");
  if (!isThere(wished.microphones, choices.sound)) wanted = without(wanted, "sound");
  return ask(request(wanted), false);
}

// A running source: its picture, the sound that is sent, and all that has to be stopped with it.
export class Source {
  #streams;
  #mixer = null;

  constructor(streams, { screen }) {
    this.#streams = streams;
    this.screen = screen;
    this.video = streams.flatMap((stream) => stream.getVideoTracks())[0];
    this.video.contentHint = screen ? "detail" : "motion";
    this.#voices = streams.flatMap((stream) => stream.getAudioTracks());
    this.audio = this.#voices.length > 1 ? this.#mixed() : (this.#voices[0] ?? null);
  }

  #voices;

  // WebRTC sends one track: what the screen plays and what the microphone hears become one.
  #mixed() {
    this.#mixer = new AudioContext();
    const output = this.#mixer.createMediaStreamDestination();
    for (const track of this.#voices) {
      this.#mixer.createMediaStreamSource(new MediaStream([track])).connect(output);
    }
    return output.stream.getAudioTracks()[0];
  }

  get tracks() {
    return { video: this.video, audio: this.audio };
  }

  get cameraId() {
    return this.screen ? SCREEN : this.video.getSettings().deviceId;
  }

  // What comes now: a phone that is turned turns it. Before the first picture, what the browser promises.
  sizeIn(element) {
    const { width = 1280, height = 720 } = this.video.getSettings();
    return element.videoWidth ? { width: element.videoWidth, height: element.videoHeight } : { width, height };
  }

  mute(muted) {
    if (this.audio) this.audio.enabled = !muted;
  }

  stop() {
    for (const track of [...this.#streams.flatMap((stream) => stream.getTracks())]) track.stop();
    this.#mixer?.close();
  }
}

async function captureScreen(choices) {
  const shown = await ask(navigator.mediaDevices.getDisplayMedia(screenConstraints(choices)), true);
  const audio = microphoneConstraints(choices);
  if (audio === false) return new Source([shown], { screen: true });
  try {
    const heard = await ask(navigator.mediaDevices.getUserMedia({ audio }), false);
    return new Source([shown, heard], { screen: true });
  } catch (error) {
    for (const track of shown.getTracks()) track.stop();
    throw error;
  }
}

// Returns a Source, or throws CaptureFailed.
export async function capture(choices) {
  if (!navigator.mediaDevices?.getUserMedia) throw new CaptureFailed("insecure");
  if (choices.picture === SCREEN) return captureScreen(choices);
  return new Source([await askForDevices(choices)], { screen: false });
}
