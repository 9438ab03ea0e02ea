export { type CursorUse, checkCursor } from './check-cursor.ts';
export { openCursorCodec } from './cursor.ts';
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
