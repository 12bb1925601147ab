# Documents parsed, searched, transformed.
from lxml import etree, html
t=etree.fromstring('<a><b>1</b></a>'); etree.ElementTree(t).write('x.xml'); etree.parse('x.xml').xpath('//b'); html.fromstring('<p>x').text_content(); etree.XSLT(etree.XML('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">x</xsl:template></xsl:stylesheet>'))(t)
_result = "done"
