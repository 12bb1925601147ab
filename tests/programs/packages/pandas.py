# A table in and out.
import pandas as pd
open('t.csv','w').write('k,n\n' + ''.join(f'{i % 3},{i}\n' for i in range(3000)))
d = pd.read_csv('t.csv').groupby('k').n.sum(); d.to_frame().to_csv('out.csv'); pd.Timestamp.now(tz='Europe/Berlin'); d.to_frame().to_pickle('p'); pd.read_pickle('p')
_result = "done"
