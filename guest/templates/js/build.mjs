// Makes my-component.wasm of component.js: SpiderMonkey, and a snapshot of the program in it.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize({
  sourcePath: 'component.js',
  witPath: 'wit',
  worldName: 'component',
  // Auricle gives a component what its role needs, and nothing of these.
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile('my-component.wasm', component);
