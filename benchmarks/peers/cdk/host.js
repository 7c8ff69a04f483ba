// Runs the framework's functions as they were synthesized, for who writes events to its stdin.
//
// Each line in is {id, handler, event}, or {call, result | error}: what came of a call. Each line
// out is {id, call, name, params}: a call of the framework's, or {id, result | error}. The calls
// are those three that the framework keeps in a module of their own (outbound.js); the AWS SDK
// behind them is not loaded.
'use strict';
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const readline = require('node:readline');
const { AsyncLocalStorage } = require('node:async_hooks');

const load = Module._load;
Module._load = (request, ...more) =>
  request.startsWith('@aws-sdk/') ? {} : load(request, ...more);
console.log = () => {};

const asset = process.argv[2];
const outbound = require(path.join(asset, 'outbound.js'));
const framework = require(path.join(asset, 'framework.js'));

const invocation = new AsyncLocalStorage();
const calls = new Map();
let numbers = 0;

const write = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`);

function calling(name) {
  return (...params) =>
    new Promise((resolve, reject) => {
      const call = ++numbers;
      calls.set(call, { resolve, reject });
      write({ id: invocation.getStore(), call, name, params });
    });
}
for (const name of ['startExecution', 'invokeFunction', 'httpRequest']) {
  outbound[name] = calling(name);
}

async function run({ id, handler, event }) {
  try {
    write({ id, result: (await framework[handler](event)) ?? null });
  } catch (error) {
    // As the Lambda runtime for Node reports it.
    const trace = String(error.stack).split('\n');
    write({ id, error: { errorType: error.name, errorMessage: error.message, trace } });
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.handler) {
    invocation.run(message.id, () => run(message));
    return;
  }
  const { resolve, reject } = calls.get(message.call);
  calls.delete(message.call);
  if (message.error) reject(new Error(message.error));
  else resolve(message.result);
});
write({ ready: true });
