// SPDX-License-Identifier: GPL-2.0-or-later
// driver.js SOCKET: what a program does with node's driver; prints ok, or why not.
const assert = require('assert')
const mysql = require('mysql')
const db = mysql.createConnection({ socketPath: process.argv[2], user: 'only', database: 'test' })

function query(sql, values) {
	return new Promise((resolve, reject) => db.query(sql, values, (error, rows) => error ? reject(error) : resolve(rows)))
}

async function main() {
	await query('CREATE TABLE nd (id INT PRIMARY KEY, t TEXT)')
	await query('START TRANSACTION')
	await query('INSERT INTO nd VALUES ?', [[[1, 'one'], [2, 'two']]])
	await query('COMMIT')
	await query("SET SESSION baton_class = 'critical'")
	await assert.rejects(query('DELETE FROM nd WHERE id = ?', [1]), { errno: 1226, sqlState: '42000' })
	await query('SET SESSION baton_class = DEFAULT')
	const rows = await query('SELECT id, t FROM nd ORDER BY id')
	assert.deepStrictEqual(rows.map(r => [r.id, r.t]), [[1, 'one'], [2, 'two']])
	// As many as one can at once: the driver puts them in a row.
	const many = await Promise.all([...Array(50).keys()].map(i => query('SELECT ? + 1 AS n', [i])))
	assert.deepStrictEqual(many.map(r => r[0].n), [...Array(50).keys()].map(i => i + 1))
	db.end()
	console.log('ok')
}

main().catch(error => {
	console.error(error)
	process.exit(1)
})
