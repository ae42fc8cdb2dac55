// Records from the browser's microphone and makes a WAV of it, in memory.

export class Capture {
  private readonly parts: Float32Array[] = [];
  private length = 0;
  private stream?: MediaStream;
  private context?: AudioContext;

  /** `onLevel` gets the peak (0 to 1) of each block of samples. */
  constructor(private readonly onLevel: (peak: number) => void) {}

  /** Opens the microphone. Throws what getUserMedia throws: NotAllowedError, NotFoundError and others. */
  async start(): Promise<void> {
    // The room's own sound: what a browser does for telephone calls changes the voice.
    const audio = {
      channelCount: 1,
      echoCancellation: false,
      noiseSuppression: false,
      autoGainControl: true,
    };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/capture.js");
    const node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => this.append(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
    await this.context.resume();
  }

  private append(samples: Float32Array): void {
    this.parts.push(samples);
    this.length += samples.length;
    this.onLevel(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0));
  }

  get seconds(): number {
    return this.context ? this.length / this.context.sampleRate : 0;
  }

  /** Closes the microphone and returns the recording (WAV, int16, mono). */
  async stop(): Promise<Blob> {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    const rate = this.context?.sampleRate ?? 48_000;
    await this.context?.close();
    return wav(this.parts, rate);
  }
}

const wav = (parts: Float32Array[], rate: number) => new Blob([wavBytes(parts, rate)], { type: "audio/wav" });

/** Mono samples from -1 to 1 as the bytes of a WAV file (RIFF, PCM, int16). */
export function wavBytes(parts: Float32Array[], rate: number): ArrayBuffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const word = (at: number, letters: string) =>
    [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * length, true);
  let at = 44;
  for (const part of parts) {
    for (const sample of part) {
      view.setInt16(at, Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768))), true);
      at += 2;
    }
  }
  return view.buffer;
}

const RATE = 16_000;
/** The longest recording, in seconds. */
const LONGEST_S = 60;

/**
 * Decodes what the browser can (m4a, aac, mp4, webm, 3gp, ogg, opus, mp3, flac) to a mono WAV at 16 kHz. Throws
 * RangeError for more than a minute, and what the browser throws when it cannot.
 */
export async function decodeToWav(file: Blob): Promise<Blob> {
  const bytes = await file.arrayBuffer();
  const context = new OfflineAudioContext(1, 1, RATE);
  const audio = await context.decodeAudioData(bytes);
  if (audio.duration > LONGEST_S) throw new RangeError("too long");
  const mixer = new OfflineAudioContext(1, Math.ceil(audio.duration * RATE), RATE);
  const source = mixer.createBufferSource();
  source.buffer = audio;
  source.connect(mixer.destination);
  source.start();
  const mixed = await mixer.startRendering();
  return wav([mixed.getChannelData(0)], RATE);
}
