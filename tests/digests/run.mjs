// Runs the program for wasm32-unknown-unknown: `node run.mjs gradstep-digests.wasm`
import { readFileSync } from "node:fs";

const text = (at, len) => new TextDecoder().decode(new Uint8Array(instance.exports.memory.buffer, at, len));
const env = { print: (at, len) => console.log(text(at, len)) };
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { env });
instance.exports.main(0, 0);
