"""Pages that list a folder, as servers wrote them, and pages that look so and are none. Names are made up."""

# ruff: noqa: E501 - pages have the lines that servers wrote

#: What lies in every list below: (name in the link, name as shown, is a folder).
NGINX = b"""<html>\r
<head><title>Index of /dicom/</title></head>\r
<body>\r
<h1>Index of /dicom/</h1><hr><pre><a href="../">../</a>\r
<a href="00000001/">00000001/</a>                                          22-Nov-2026 14:26                   -\r
<a href="IM_0001">IM_0001</a>                                            22-Nov-2026 14:26                   2\r
<a href="a%20%26%20b%20%3Cc%3E.txt">a &amp; b &lt;c&gt;.txt</a>                                      22-Nov-2026 14:26  3\r
<a href="%C3%A4%20very%20long%20name%20that%20is%20cut%20short%20by%20the%20server.dcm">\xc3\xa4 very long name that is cut s..&gt;</a> 22\r
</pre><hr></body>\r
</html>\r
"""
APACHE_FANCY = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html> <head>  <title>Index of /dicom</title> </head> <body><h1>Index of /dicom</h1>
<table><tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th>
<th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="00000001/">00000001/</a></td></tr>
<tr><td><a href="IM_0001"><img src="/icons/unknown.gif" alt="[   ]"></a></td><td><a href="IM_0001">IM_0001</a></td></tr>
<tr><td><a href="a%20&amp;%20b%20%3cc%3e.txt">a &amp; b &lt;c&gt;.txt</a></td></tr>
<tr><td><a href="%c3%a4%20very%20long%20name.dcm">\xc3\xa4 very long na..&gt;</a></td></tr>
</table><address>Apache/2.4 Server at <a href="mailto:admin@example.test">127.0.0.1</a></address></body></html>
"""
APACHE_PLAIN = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /dicom</title></head><body><h1>Index of /dicom</h1>
<ul><li><a href="/"> Parent Directory</a></li>
<li><a href="00000001/"> 00000001/</a></li>
<li><a href="IM_0001"> IM_0001</a></li>
<li><a href="a%20&amp;%20b%20%3cc%3e.txt"> a &amp; b &lt;c&gt;.txt</a></li>
<li><a href="x.dcm"> x.dcm</a></li>
</ul></body></html>
"""
LIGHTTPD = b"""<!DOCTYPE html><html><head><title>Index of /dicom/</title>
<style type="text/css">a{} <a href="not-a-link">not-a-link</a></style></head><body><h2>Index of /dicom/</h2>
<table summary="Directory Listing" cellpadding="0" cellspacing="0"><tbody>
<tr class="d"><td class="n"><a href="../">..</a>/</td></tr>
<tr class="d"><td class="n"><a href="00000001/">00000001</a>/</td></tr>
<tr><td class="n"><a href="IM_0001">IM_0001</a></td></tr>
<tr><td class="n"><a href="a%20%26%20b%20%3Cc%3E.txt">a &#x26; b &#x3C;c&#x3E;.txt</a></td></tr>
<tr><td class="n"><a href="x.dcm">x.dcm</a></td></tr>
</tbody></table><script type="text/javascript">// <!--
var s = '<a href="nor-this">nor-this</a>'; // --></script></body></html>
"""
PYTHON = b"""<!DOCTYPE HTML><html lang="en"><head><title>Directory listing for /dicom/</title></head><body>
<h1>Directory listing for /dicom/</h1><hr><ul>
<li><a href="00000001/">00000001/</a></li>
<li><a href="IM_0001">IM_0001</a></li>
<li><a href="a%20%26%20b%20%3Cc%3E.txt">a &amp; b &lt;c&gt;.txt</a></li>
<li><a href="x.dcm">x.dcm</a></li></ul><hr></body></html>
"""
#: Written from Microsoft's, Tomcat's, Jetty's and serve-index's own forms, not taken from running servers.
IIS = b"""<html><head><title>10.0.0.9 - /dicom/</title></head><body><H1>10.0.0.9 - /dicom/</H1><hr>
<pre><A HREF="/">[To Parent Directory]</A><br><br>11/22/2026  2:26 PM  &lt;dir&gt; <A HREF="/dicom/00000001/">00000001</A><br>
11/22/2026  2:26 PM    2 <A HREF="/dicom/IM_0001">IM_0001</A><br>
11/22/2026  2:26 PM    2 <A HREF="/dicom/a%20&amp;%20b.txt">a &amp; b.txt</A><br>
11/22/2026  2:26 PM    2 <A HREF="/dicom/x.dcm">x.dcm</A><br></pre><hr></body></html>
"""
TOMCAT = b"""<html><head><title>Directory Listing For [/dicom/]</title></head><body><h1>Directory Listing For [/dicom/]</h1>
<table><tr><td><a href="/dicom/00000001/"><tt>00000001/</tt></a></td></tr>
<tr><td><a href="/dicom/IM_0001"><tt>IM_0001</tt></a></td></tr><tr><td><a href="/dicom/notes.txt"><tt>notes.txt</tt></a></td></tr>
<tr><td><a href="/dicom/x.dcm"><tt>x.dcm</tt></a></td></tr></table></body></html>
"""
JETTY = b"""<html><head><title>Directory: /dicom/</title></head><body><h1>Directory: /dicom/</h1><table>
<tr><td><a href="/dicom/00000001/">00000001/&nbsp;</a></td></tr><tr><td><a href="/dicom/IM_0001">IM_0001&nbsp;</a></td></tr>
<tr><td><a href="/dicom/notes.txt">notes.txt&nbsp;</a></td></tr><tr><td><a href="/dicom/x.dcm">x.dcm&nbsp;</a></td></tr></table></body></html>
"""
SERVE_INDEX = b"""<!DOCTYPE html><html><head><title>listing directory /dicom/</title></head><body><h1><a href="/">~</a> /</h1>
<ul><li><a href="/dicom/00000001" title="00000001"><span class="name">00000001</span><span class="size">4</span></a></li>
<li><a href="/dicom/IM_0001" title="IM_0001"><span class="name">IM_0001</span><span class="size">2</span></a></li>
<li><a href="/dicom/notes.txt"><span class="name">notes.txt</span><span class="size">2</span></a></li>
<li><a href="/dicom/x.dcm"><span class="name">x.dcm</span><span class="size">2</span></a></li></ul></body></html>
"""
#: form -> (page for /dicom/, folders in it); four entries, one bare number and two names of DICOM files in each.
LISTS = {
    "nginx": (NGINX, 1),
    "apache": (APACHE_FANCY, 1),
    "apache, plain": (APACHE_PLAIN, 1),
    "lighttpd": (LIGHTTPD, 1),
    "python": (PYTHON, 1),
    "iis": (IIS, 1),
    "tomcat": (TOMCAT, 1),
    "jetty": (JETTY, 1),
    "serve-index": (SERVE_INDEX, 0),
}

_LINKS = b'<a href="IM_0001">IM_0001</a> <a href="x.dcm">x.dcm</a> <a href="y.dcm">y.dcm</a>'


def _page(title: bytes, body: bytes) -> bytes:
    return b"<html><head><title>" + title + b"</title></head><body>" + body + b"</body></html>"


#: Pages that merely have links, or look like lists and are none; all were asked for as /dicom/.
NO_LISTS = {
    "a page with links to images": _page(b"Our images", _LINKS),
    "a list without a title": b"<html><body><h1>Index of /dicom/</h1>" + _LINKS + b"</body></html>",
    "a list of another folder": _page(b"Index of /holiday/", _LINKS),
    "a table of contents": _page(b"Index of topics", _LINKS),
    "an index of a book": _page(b"Index of /dicom/", b'<a href="ch1">Introduction</a> <a href="ch2">Names</a> <a href="ch3">UIDs</a>'),
    "a login before the list": _page(b"Index of /dicom/", b'<input type="password" name="p">' + _LINKS),
    "links to elsewhere": _page(
        b"Index of /dicom/",
        b'<a href="https://example.test/x.dcm">x.dcm</a><a href="//example.test/y.dcm">y.dcm</a><a href="/other/z.dcm">z.dcm</a>',
    ),
    "links with queries": _page(b"Index of /dicom/", b'<a href="x.dcm?download=1">x.dcm</a><a href="show?id=2">show</a><a href="#z">z</a>'),
    "an empty body": b"",
    "only a title and one foreign link": _page(b"Index of /dicom/", b'<a href="/home">Home</a>'),
    "mostly navigation": _page(b"Index of /dicom/", b'<a href="about">about</a>' + b'<a href="/n">Somewhere</a>' * 9),
    "the title in a comment": b"<!-- <title>Index of /dicom/</title> -->" + _LINKS,
    "the title in a script": b"<script>'<title>Index of /dicom/</title>'</script>" + _LINKS,
    "the second title": b"<title>Welcome</title><title>Index of /dicom/</title>" + _LINKS,
    "json": b'{"title": "Index of /dicom/", "files": ["x.dcm"]}',
    "plain text": b"Index of /dicom/\nx.dcm\ny.dcm\n",
    "the path is part of a longer word": _page(b"Index of /dicom/archive", _LINKS),
    "links inside a script": _page(b"Index of /dicom/", b"<script>" + _LINKS + b"</script>" + b'<a href="/a">a</a>'),
}  # fmt: skip
