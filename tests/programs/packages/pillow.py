# A picture drawn, filtered, resized.
from PIL import Image, ImageDraw, ImageFont, ImageFilter
i=Image.new('RGB',(600,600)); ImageDraw.Draw(i).text((1,1),'hi',font=ImageFont.load_default()); i.filter(ImageFilter.BLUR).save('i.png'); i.save('i.jpg'); Image.open('i.jpg').resize((10,10)).save('i.webp')
_result = "done"
