# Keys, signatures, tokens.
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa, ec
from cryptography.hazmat.primitives import hashes, serialization
f=Fernet(Fernet.generate_key()); assert f.decrypt(f.encrypt(b'x'))==b'x'
k=rsa.generate_private_key(65537,2048); k.private_bytes(serialization.Encoding.PEM,serialization.PrivateFormat.PKCS8,serialization.NoEncryption()); k=ec.generate_private_key(ec.SECP256R1()); k.sign(b'x',ec.ECDSA(hashes.SHA256()))
_result = "done"
