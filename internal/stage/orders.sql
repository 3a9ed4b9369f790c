CREATE TABLE customers (
    id          bigint PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL,
    card_number text NOT NULL
);
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    item        text NOT NULL,
    cents       bigint NOT NULL,
    status      text NOT NULL
);
INSERT INTO customers VALUES
    (1, 'Ida Lind',   'ida@example.com',   '4000 0000 0000 0002'),
    (2, 'Jon Berg',   'jon@example.com',   '4000 0000 0000 0010'),
    (3, 'Kim Dahl',   'kim@example.com',   '4000 0000 0000 0028');
INSERT INTO orders VALUES
    (101, 1, 'lamp',    4900, 'shipped'),
    (102, 2, 'chair',  12900, 'stuck in checkout'),
    (103, 2, 'desk',   39900, 'stuck in checkout'),
    (104, 3, 'shelf',   8900, 'paid');
