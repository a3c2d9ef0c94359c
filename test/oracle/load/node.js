// Code of the JIT in all its tiers, built-ins of V8, OpenSSL, zlib, other threads.
const crypto = require('crypto');
const zlib = require('zlib');

function fibonacci(n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

class Tree {
	constructor(depth) {
		this.left = depth ? new Tree(depth - 1) : null;
		this.right = depth ? new Tree(depth - 1) : null;
	}
	count() { return 1 + (this.left ? this.left.count() : 0) + (this.right ? this.right.count() : 0); }
}

let n = 0;
function turn() {
	fibonacci(20);
	new Tree(10).count();
	JSON.parse(JSON.stringify({ a: Array(500).fill({ x: 1, y: 'zz' }) }));
	zlib.inflateSync(zlib.deflateSync(crypto.randomBytes(20000)));
	crypto.createHash('sha512').update(Buffer.alloc(100000)).digest('hex');
	[...Array(2000).keys()].map(String).sort((a, b) => (a < b ? -1 : 1));
	'aaabbb'.repeat(1000).replace(/a+b/g, x => x + 'c');
	zlib.deflate(Buffer.alloc(50000, n++), () => 0);
	// Functions that no tier has seen before.
	new Function('x', `let s = ${n}; for (let i = 0; i < 2000; i++) s = (s * x + i) | 0; return s`)(n);
	setImmediate(turn);
}
turn();
