// What getStats says of the picture that is sent, and whether network or computer are too weak for it. Pure.

const SETTLING_MS = 10_000; // browsers begin with a small picture and work their way up
const SAMPLES_IN_A_ROW = 3; // one moment of it is no news

const NOTHING = { bitrate: null, width: null, height: null, frameRate: null, roundTrip: null, loss: null };

const find = (reports, isWanted) => reports.find(isWanted) ?? {};

// *before* is what was measured last of the same connection, or null.
export function measure(reports, before, now) {
  const sent = find(reports, ({ type, kind }) => type === "outbound-rtp" && kind === "video");
  const heard = find(reports, ({ type, kind }) => type === "remote-inbound-rtp" && kind === "video");
  const pair = find(reports, ({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
  const bytes = sent.bytesSent ?? 0;
  const seconds = before ? (now - before.at) / 1000 : 0;
  const roundTrip = heard.roundTripTime ?? pair.currentRoundTripTime ?? null;
  return {
    ...NOTHING,
    at: now,
    bytes,
    bitrate: seconds > 0 && bytes >= before.bytes ? Math.round(((bytes - before.bytes) * 8) / seconds) : null,
    width: sent.frameWidth ?? null,
    height: sent.frameHeight ?? null,
    frameRate: sent.framesPerSecond ?? null,
    roundTrip: roundTrip === null ? null : roundTrip * 1000,
    loss: heard.fractionLost ?? null,
    limitation: sent.qualityLimitationReason ?? "none",
    available: pair.availableOutgoingBitrate ?? null,
  };
}

// A picture in which nothing moves needs few bits: where the browser knows what the network would take, a low
// bitrate alone is no weakness.
function isNetworkWeak({ bitrate, limitation, available }, asked) {
  if (limitation === "bandwidth") return true;
  return bitrate !== null && bitrate < asked / 2 && (available === null || available < asked / 2);
}

export const NO_TREND = { network: 0, cpu: 0 };

export function follow(trend, measured, { asked, liveFor, screen }) {
  if (liveFor < SETTLING_MS) return NO_TREND;
  // Of a screen that stands still nobody can tell, unless the browser does.
  const network = isNetworkWeak(measured, screen && measured.available === null ? 0 : asked);
  return {
    network: network ? trend.network + 1 : 0,
    cpu: measured.limitation === "cpu" ? trend.cpu + 1 : 0,
  };
}

export const weaknesses = (trend) => ["network", "cpu"].filter((name) => trend[name] >= SAMPLES_IN_A_ROW);
