# Modules of the standard library that other C libraries are behind.
import ssl, hashlib, decimal, zoneinfo, ctypes, json, uuid, lzma, bz2, zlib, csv, gzip, zipfile, tarfile, logging, locale, platform, random, secrets, statistics, xml.etree.ElementTree, unittest, email.message, urllib.parse, http.client, multiprocessing
ssl.create_default_context(); hashlib.scrypt(b'a',salt=b'b',n=2,r=1,p=1); decimal.Decimal(2).sqrt(); zoneinfo.ZoneInfo('Europe/Berlin'); ctypes.CFUNCTYPE(ctypes.c_int)(lambda:1)(); uuid.uuid1(); platform.platform(); platform.libc_ver(); locale.setlocale(locale.LC_ALL,'')
import ctypes.util; ctypes.util.find_library('c')
c=ctypes.CDLL(None); c.malloc_trim(0); c.sched_getcpu()
_result = "done"
