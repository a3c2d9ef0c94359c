// churn.js [SEED] -- functions that are made, called until they are compiled, and left behind, for ever: each
// calls others of its twenty, so that hardly a stack is like another.
'use strict';
let made = 1000003 * Number(process.argv[2] || 0);

function make() {
  const n = made++;
  return new Function('next', 'depth', 'x', `
    let s = ${n};
    for (let i = 0; i < ${200 + n % 97}; i++)
      s = (s * ${31 + n % 13} + i) ^ x;
    return depth > 0 ? next[(depth * ${1 + n % 7}) % 20](next, depth - 1, s) + s : s;`);
}

let sum = 0;
for (;;) {
  const next = Array.from({ length: 20 }, make);
  for (let i = 0; i < 300; i++)
    sum ^= next[i % 20](next, 1 + i % 19, i);
}
