"""Who buys in the demo, and where they live. Invented people; numbers from the ranges that are kept for fiction."""

from typing import Any

Person = dict[str, Any]
"""The fields of an Address, as JSON."""

AT_HOME: tuple[Person, ...] = tuple(
    {"name": name, "phone": phone, "country": "CN", "province": province, "city": city, "line1": line1, "postcode": postcode}
    for name, phone, province, city, line1, postcode in (
        ("李雷", "+8613800000001", "浙江省", "杭州市", "西湖区文三路 1 号", "310000"),
        ("韩梅梅", "+8613800000002", "上海市", "上海市", "徐汇区衡山路 8 号", "200030"),
        ("王小明", "+8613800000003", "北京市", "北京市", "海淀区学院路 20 号", "100083"),
        ("陈静", "+8613800000004", "广东省", "深圳市", "南山区科苑路 15 号", "518057"),
        ("刘洋", "+8613800000005", "四川省", "成都市", "锦江区春熙路 3 号", "610021"),
        ("赵敏", "+8613800000006", "江苏省", "南京市", "鼓楼区汉口路 22 号", "210093"),
        ("周杰", "+8613800000007", "湖北省", "武汉市", "洪山区珞喻路 37 号", "430074"),
        ("吴芳", "+8613800000008", "陕西省", "西安市", "雁塔区小寨东路 9 号", "710061"),
    )
)

ABROAD: tuple[Person, ...] = tuple(
    {"name": name, "phone": phone, "country": country, "city": city, "line1": line1, "postcode": postcode}
    for name, phone, country, city, line1, postcode in (
        ("Maria Keller", "+493023125001", "DE", "Berlin", "Lindenweg 12", "10115"),
        ("James Whitfield", "+447700900123", "GB", "Bristol", "4 Orchard Lane", "BS1 4DJ"),
        ("Camille Laurent", "+33199001234", "FR", "Lyon", "18 rue des Tilleuls", "69002"),
        ("Dana Brooks", "+12025550123", "US", "Washington", "901 Cedar Street NW", "20001"),
        ("Liam O'Connor", "+61491570156", "AU", "Melbourne", "77 Banksia Road", "3000"),
    )
)
