// A stream's recordings: which there are, what each one plays from, and the thumbnails of its timeline.

import { readObject } from "./objects.js";

// Names relative to the list, as bucketcast/recording/names.py and vod.py make them: whatever else stands there is
// not asked for.
const FILE_NAME = /^[0-9]{8}\/full_stream(?:_[0-9]+)?\.mp4$/;
const VOD_NAME = /^[0-9]{8}\/vod\/master\.m3u8$/;
const POSTER_NAME = /^[0-9]{8}\/vod\/poster\.jpg$/;
const STORYBOARD_NAME = /^[0-9]{8}\/vod\/storyboard\.vtt$/;

// A recording is listed seconds to a minute after the end; a long one, or one that is tried again, takes minutes.
// With these pauses 20 questions reach over 8 minutes, and then whoever still waits can load the page again.
const FIRST_PAUSE_MS = 2000;
const LAST_PAUSE_MS = 30000;
const MOST_QUESTIONS = 20;

// Who pressed the button waits for the newest list no longer than this: there may be a better version by now.
const NEWEST_MS = 1500;

const CUE = /^(?:(\d+):)?(\d\d):(\d\d\.\d{3}) --> (?:(\d+):)?(\d\d):(\d\d\.\d{3})\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gm;
const SPRITE_NAME = /^storyboard_[0-9]{5}\.jpg$/;

// What is decided from values alone.

function parseRecording(record) {
  const { broadcast, seconds, files, vod, poster, storyboard } = record ?? {};
  if (!Number.isSafeInteger(broadcast) || broadcast < 1 || !Array.isArray(files)) return null;
  const name = (value, pattern) => (typeof value === "string" && pattern.test(value) ? value : null);
  if (files.length === 0 || !files.every((file) => name(file, FILE_NAME))) return null;
  return {
    broadcast,
    seconds: Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    files,
    vod: name(vod, VOD_NAME),
    poster: name(poster, POSTER_NAME),
    storyboard: name(storyboard, STORYBOARD_NAME),
  };
}

export function parseRecordings(text) {
  const { recordings } = JSON.parse(text);
  return Array.isArray(recordings) ? recordings.map(parseRecording).filter(Boolean) : null;
}

// The files, played one after the other: more than one where the formats of a broadcast could not be joined. The
// storyboard's times are those of all of them together.
export const filesOf = ({ files, storyboard }) =>
  files.map((file) => ({ playlist: null, file, storyboard: files.length === 1 ? storyboard : null }));

// What is played one after the other: the VOD, which is the whole recording, or else its files.
export const partsOf = (recording) =>
  recording.vod
    ? [{ playlist: recording.vod, file: null, storyboard: recording.storyboard, instead: filesOf(recording) }]
    : filesOf(recording);

export function parseStoryboard(text) {
  const seconds = (hours, minutes, rest) => Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(rest);
  return [...text.replaceAll("\r\n", "\n").matchAll(CUE)]
    .filter((cue) => SPRITE_NAME.test(cue[7]))
    .map(([, h, m, s, endH, endM, endS, sprite, ...place]) => {
      const [x, y, width, height] = place.map(Number);
      return { start: seconds(h, m, s), end: seconds(endH, endM, endS), sprite, x, y, width, height };
    });
}

export const thumbnailAt = (thumbnails, time) =>
  thumbnails.findLast(({ start }) => start <= time) ?? thumbnails[0] ?? null;

function split(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
}

export function clockTime(seconds) {
  const [hours, minutes, rest] = split(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function spokenTime(seconds) {
  const units = ["hour", "minute", "second"];
  const words = split(seconds)
    .map((number, unit) => (number ? `${number} ${units[unit]}${number === 1 ? "" : "s"}` : ""))
    .filter(Boolean);
  return words.join(" ") || "0 seconds";
}

// The list in the bucket.

export class RecordingList {
  // recordings.json, asked for only while something is wanted of it, with growing pauses, so many times. *tell* is
  // called after every answer.
  #recordings = [];
  #occasion = "";
  #questions = 0;
  #nextAt = 0;
  #reading = false;

  constructor(stream, tell) {
    this.folder = `../${stream}/recording/`;
    this.tell = tell;
  }

  address(name) {
    return this.folder + name;
  }

  find(broadcast) {
    return this.#recordings.find((recording) => recording.broadcast === broadcast) ?? null;
  }

  // Whether any question was answered, and whether more will be asked.
  answered = false;
  get asksOn() { return this.#questions < MOST_QUESTIONS; }

  // Asks for *broadcast*'s recording if it is time. A list that is missing is not asked for again on the same
  // *occasion*: the browser reports each such answer as an error.
  look(broadcast, occasion) {
    if (this.find(broadcast)) return;
    if (occasion !== this.#occasion) {
      this.#occasion = occasion;
      this.#questions = 0;
      this.#nextAt = 0;
    }
    if (!this.#reading && this.asksOn && performance.now() >= this.#nextAt) this.#read();
  }

  // *broadcast*'s recording as the newest list has it, or as it is known when that takes too long.
  async newest(broadcast) {
    const late = new Promise((resolve) => setTimeout(resolve, NEWEST_MS));
    await Promise.race([this.#read(), late]);
    return this.find(broadcast);
  }

  async #read() {
    this.#reading = true;
    const answer = await readObject(this.address("recordings.json"), parseRecordings);
    this.#reading = false;
    this.answered = true;
    if (answer.kind === "known") this.#recordings = answer.value;
    this.#questions = answer.kind === "absent" ? MOST_QUESTIONS : this.#questions + 1;
    this.#nextAt = performance.now() + Math.min(FIRST_PAUSE_MS * 2 ** (this.#questions - 1), LAST_PAUSE_MS);
    this.tell();
  }
}

export class Storyboard {
  // Thumbnails by time; none until they are there, and none if they never come.
  #thumbnails = [];
  #address = null;

  async open(address) {
    if (address === this.#address) return;
    this.#address = address;
    this.#thumbnails = [];
    if (address === null) return;
    const answer = await readObject(address, parseStoryboard);
    if (address === this.#address && answer.kind === "known") this.#thumbnails = answer.value;
  }

  // The part of a picture to show for *time*, or null.
  at(time) {
    const thumbnail = thumbnailAt(this.#thumbnails, time);
    return thumbnail && { ...thumbnail, address: this.#address.replace(/[^/]*$/, thumbnail.sprite) };
  }
}
