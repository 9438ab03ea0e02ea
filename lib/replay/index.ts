export type { BufferClaim } from './buffer/writer.ts';
export { type CursorUse, checkCursor } from './check-cursor.ts';
export { openCursorCodec } from './cursor.ts';
export { type FairQueue, openFairQueue } from './fair-queue.ts';
export { pathOf, type Segment } from './path.ts';
export { openPathStream } from './path-stream.ts';
export { openRecordStreams, type RecordStreamsParts } from './streams.ts';
export type {
  CursorCodec,
  PartitionPosition,
  Position,
  RecordStream,
  RecordStreams,
  StreamPosition,
  StreamRecord,
  StreamRequest,
  StreamStart,
} from './types.ts';
