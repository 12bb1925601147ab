# A plot as PNG, SVG and PDF.
import matplotlib.pyplot as plt
plt.plot([1, 4, 9]); plt.title('squares'); plt.savefig('p.png'); plt.savefig('p.svg'); plt.savefig('p.pdf')
_result = "done"
