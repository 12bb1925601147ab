# A database with a write-ahead log.
import sqlite3
c=sqlite3.connect('x.db'); c.execute('pragma journal_mode=wal'); c.execute('create table t(n)'); c.executemany('insert into t values(?)',[(i,) for i in range(1000)]); c.commit(); c.execute('vacuum'); c.close()
_result = "done"
